//! The table of keys and what is made of it, compared with the files in which people read it and with the values that the program uses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use super::{
    Config,
    keys::{self, Key, Kind, Table, of},
    mistakes_tests::compare,
    model::{Auth, Handler},
    print,
};
use crate::limits::Limits;
use serde_json::Value as Json;
use std::{collections::HashSet, fs, path::Path, time::Duration};

#[test]
fn a_key_stands_once_in_a_table_and_says_what_it_is_for() {
    for table in Table::ALL {
        let names: Vec<&str> = of(table).map(|key| key.name).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{table:?}");
    }
    for key in keys::KEYS {
        assert!(key.doc.ends_with('.'), "{}", key.name);
        let is_table = matches!(key.kind, Kind::One(_) | Kind::Many(_));
        assert_eq!(key.example.is_empty(), is_table, "{}", key.name);
        assert!(key.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", key.name);
    }
}

#[test]
fn a_name_has_one_default_wherever_it_stands() {
    for key in keys::KEYS {
        let others = keys::KEYS.iter().filter(|other| other.name == key.name && other.default.is_some());
        assert!(key.default.is_none() || others.clone().all(|other| other.default == key.default), "{}", key.name);
    }
}

#[test]
fn what_belongs_to_a_handler_names_keys_that_there_are() {
    let belongs = || keys::BELONGS.iter();
    for name in keys::HANDLERS.iter().chain(belongs().map(|(name, _)| name)).chain(belongs().flat_map(|(_, handlers)| *handlers)) {
        assert!(keys::find(Table::Route, name).is_some(), "{name}");
    }
}

#[test]
fn the_page_of_the_guide_is_made_from_the_table() {
    compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md"), &print::page());
}

/// The defaults of the page are those of the program.
#[test]
fn defaults_in_the_table_are_those_of_the_program() {
    let limits = Limits::default();
    let duration = |name: &str| {
        let text = keys::find(Table::Server, name).and_then(|key| key.default).unwrap();
        humantime::parse_duration(text.trim_matches('"')).unwrap()
    };
    assert_eq!(duration("request-timeout"), limits.request_timeout);
    assert_eq!(duration("write-timeout"), limits.write_timeout);
    assert_eq!(duration("idle-timeout"), limits.idle_timeout);
    assert_eq!(duration("drain-timeout"), limits.drain_timeout);
    let default = |table, name: &str| keys::find(table, name).and_then(|key| key.default);
    assert_eq!(default(Table::Server, "max-requests"), Some(limits.requests.to_string().as_str()));
    assert_eq!((default(Table::Server, "max-body"), limits.body_bytes), (None, None));
}

#[test]
fn what_a_file_leaves_out_has_the_default_of_the_table() {
    let text = "[[site]]\n\
        auth = { kind = \"session\", users = \".\" }\ncors = { origins = \"*\" }\n\
        route = [{ path = \"/\", files = \".\" }, { path = \"/p\", proxy = \"unix:x\", rate = \"1/s\" }, { path = \"/f\", fastcgi = \"unix:x\", root = \".\" }]\n";
    let config = Config::parse(text, "lodger.toml").unwrap();
    let site = &config.sites()[0];
    assert!(!config.server().strict_sni && config.server().trusted_proxies.is_empty());
    assert!(!site.canonical_host && !site.https_redirect && !site.security_headers && !site.error_pages.replace && !site.layers.compress);
    let [files, proxy, fastcgi] = &site.routes[..] else { panic!("three routes") };
    let Handler::Files(files) = &files.handler else { panic!("files") };
    assert_eq!(files.index, ["index.html"]);
    assert!(files.precompressed && files.symlinks && !files.listing && !files.x_sendfile);
    assert_eq!(proxy.policy.rate.unwrap().per, super::model::Per::Client);
    let Handler::Proxy(proxy) = &proxy.handler else { panic!("proxy") };
    assert_eq!((proxy.connect_timeout, proxy.fail_for, proxy.retries, proxy.websocket), (Duration::from_secs(5), Duration::from_secs(5), 1, true));
    let Handler::FastCgi(fastcgi) = &fastcgi.handler else { panic!("fastcgi") };
    assert_eq!((fastcgi.connect_timeout, fastcgi.fail_for, fastcgi.index.as_str()), (Duration::from_secs(5), Duration::from_secs(5), "index.php"));
    let Some(Auth::Session { realm, lifetime, .. }) = site.layers.auth.as_deref() else { panic!("session") };
    assert_eq!((realm.as_str(), *lifetime), ("restricted", Duration::from_secs(7 * 86_400)));
    let cors = site.layers.cors.as_deref().unwrap();
    assert_eq!(cors.methods, ["GET", "HEAD", "POST"]);
    assert!(cors.headers.is_empty() && cors.expose.is_empty() && !cors.credentials);
}

/// A file with one key, and what the key needs beside it.
fn file_with(table: Table, key: &Key, value: &str) -> String {
    let line = format!("{} = {value}\n", key.name);
    let site = "[[site]]\nhosts = \"example.org\"\n";
    let handler = |name: &str| match name {
        "fastcgi" => "fastcgi = \"unix:x\"\nroot = \".\"\n".to_owned(),
        "files" | "cgi" => format!("{name} = \".\"\n"),
        name => format!("{name} = \"unix:x\"\n"),
    };
    match table {
        Table::Root => String::new(),
        Table::Server => format!("[server]\n{line}"),
        Table::Site => {
            let beside = match key.name {
                "rate-burst" | "rate-per" => "rate = \"10/s\"\n",
                "bandwidth-burst" | "bandwidth-per" => "bandwidth = \"1MiB/s\"\n",
                "hsts-subdomains" => "hsts = \"1y\"\n",
                _ => "",
            };
            format!("{}{beside}{line}", if key.name == "hosts" { "[[site]]\n" } else { site })
        }
        Table::Route => {
            let path = match key.name {
                "tenants" => "path = \"/{tenant}\"\n",
                "rewrite" => "path = \"/{*rest}\"\n",
                "path" => "",
                _ => "path = \"/\"\n",
            };
            let with = keys::BELONGS.iter().find(|(name, _)| *name == key.name).map(|(_, with)| with[0]);
            let beside = match key.name {
                "root" => "fastcgi = \"unix:x\"\n".to_owned(),
                "fastcgi" => "root = \".\"\n".to_owned(),
                "status" => "respond = \"x\"\n".to_owned(),
                "content-type" => "respond = \"x\"\n".to_owned(),
                "rate-burst" | "rate-per" => "respond = \"x\"\nrate = \"10/s\"\n".to_owned(),
                "bandwidth-burst" | "bandwidth-per" => "respond = \"x\"\nbandwidth = \"1MiB/s\"\n".to_owned(),
                name if keys::HANDLERS.contains(&name) => String::new(),
                _ => with.map_or_else(|| "respond = \"x\"\n".to_owned(), handler),
            };
            format!("{site}[[site.route]]\n{path}{beside}{line}")
        }
        Table::ErrorPages => format!("{site}[site.error-pages]\n{line}"),
        Table::Auth => {
            let beside = match key.name {
                "kind" | "users" | "realm" => "users = \".\"\n",
                "tokens" => "",
                _ => "users = \".\"\n",
            };
            let kind = match key.name {
                "kind" => "",
                "secret" | "lifetime" => "kind = \"session\"\n",
                "tokens" => "kind = \"bearer\"\n",
                _ => "kind = \"basic\"\n",
            };
            format!("{site}[site.auth]\n{kind}{}{line}", if key.name == "users" { "" } else { beside })
        }
        Table::Cors => format!("{site}[site.cors]\n{}{line}", if key.name == "origins" { "" } else { "origins = \"https://a.example\"\n" }),
    }
}

#[test]
fn every_example_and_every_default_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let web_space = folder.path().join("web");
    fs::create_dir_all(folder.path().join("private")).unwrap();
    fs::create_dir(&web_space).unwrap();
    for name in ["session-secret", "token"] {
        fs::write(folder.path().join("private").join(name), "0123456789abcdef0123456789abcdef\n").unwrap();
    }
    for table in Table::ALL {
        for key in of(table).filter(|key| !matches!(key.kind, Kind::One(_) | Kind::Many(_))) {
            for value in [Some(key.example), key.default].into_iter().flatten() {
                let text = file_with(table, key, value);
                if let Err(mistakes) = Config::parse(&text, web_space.join("lodger.toml")) {
                    panic!("{text}\n{mistakes}");
                }
            }
        }
    }
}

#[test]
fn the_template_is_a_file_in_comments() {
    let template = print::template();
    assert!(Config::parse(&template, "lodger.toml").unwrap().sites().iter().all(|site| site.routes.is_empty()));
    // Taken out of their comments, the lines are tables and keys of TOML.
    let is_code = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    let code: Vec<&str> = template.lines().filter(is_code).map(|line| &line[1..]).collect();
    let table: toml::Table = code.join("\n").parse().unwrap();
    let site = &table["site"][0];
    for (table, found) in [
        (Table::Server, &table["server"]),
        (Table::Site, site),
        (Table::Route, &site["route"][0]),
        (Table::ErrorPages, &site["error-pages"]),
        (Table::Auth, &site["auth"]),
        (Table::Cors, &site["cors"]),
    ] {
        // Tables of a route are written as those of its site are.
        for key in of(table).filter(|key| table != Table::Route || !matches!(key.kind, Kind::One(_))) {
            assert!(found.get(key.name).is_some(), "{table:?} of the template has no {}", key.name);
        }
    }
}

#[test]
fn comments_of_the_template_are_narrow_enough_to_be_read() {
    for line in print::template().lines().filter(|line| line.starts_with("# ")) {
        assert!(line.chars().count() <= 110, "{line}");
    }
}

/// Whether a value fits a schema, as far as our schema goes.
fn fits(schema: &Json, root: &Json, value: &toml::Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        return fits(&root["$defs"][name.strip_prefix("#/$defs/").unwrap()], root, value);
    }
    if let Some(choices) = schema["enum"].as_array() {
        let fits = choices.iter().any(|choice| choice.as_str() == value.as_str());
        return fits.then_some(()).ok_or_else(|| format!("{value} is none of {choices:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Json::String(one) => vec![one],
        list => list.as_array().unwrap_or_else(|| panic!("{value} has no type in {schema}")).iter().map(|one| one.as_str().unwrap()).collect(),
    };
    let name = match value {
        toml::Value::Integer(number) => {
            if types.contains(&"integer") && (schema["minimum"].as_i64().unwrap() > *number || schema["maximum"].as_i64().unwrap() < *number) {
                return Err(format!("{number} is out of range"));
            }
            "integer"
        }
        toml::Value::String(_) => "string",
        toml::Value::Boolean(_) => "boolean",
        toml::Value::Array(_) => "array",
        toml::Value::Table(_) => "object",
        other => return Err(format!("{other} has no type")),
    };
    if !types.contains(&name) {
        return Err(format!("{value} is none of {types:?}"));
    }
    if let Some(items) = value.as_array() {
        return items.iter().try_for_each(|item| fits(&schema["items"], root, item));
    }
    for (name, value) in value.as_table().into_iter().flatten() {
        let pattern = schema.get("patternProperties").filter(|_| name.len() == 3).map(|patterns| &patterns["^([45][0-9][0-9]|[45]xx)$"]);
        let of_any = Some(&schema["additionalProperties"]).filter(|any| any.is_object());
        match schema["properties"].get(name).or(pattern).or(of_any) {
            Some(schema) => fits(schema, root, value).map_err(|why| format!("{name}: {why}"))?,
            None => return Err(format!("{name} is no property")),
        }
    }
    Ok(())
}

#[test]
fn editors_take_what_the_program_takes() {
    let schema: Json = serde_json::from_str(&print::schema()).unwrap();
    for path in super::mistakes_tests::files(&super::fixture_tests::folder(), "toml") {
        let text = fs::read_to_string(&path).unwrap();
        let value: toml::Value = text.trim_start_matches('\u{FEFF}').parse::<toml::Table>().unwrap().into();
        fits(&schema, &schema, &value).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
    for wrong in ["servr = 1", "[server]\nthreads = 0", "[[site]]\nhttps = \"redirct\"", "[[site]]\nhosts = [1]", "[site.error-pages]\n404 = 1"] {
        let value: toml::Value = wrong.parse::<toml::Table>().unwrap().into();
        assert!(fits(&schema, &schema, &value).is_err(), "{wrong}");
    }
}

#[test]
fn the_schema_has_every_key() {
    let schema: Json = serde_json::from_str(&print::schema()).unwrap();
    for table in Table::ALL {
        let name = table.path().rsplit('.').next().unwrap();
        let place = if table == Table::Root { &schema } else { &schema["$defs"][name] };
        for key in of(table) {
            assert_eq!(place["properties"][key.name]["description"], key.doc, "{} of {table:?}", key.name);
        }
    }
}
