//! How large programs are that are uploaded as one file: linked statically and stripped.

use crate::{
    context::Context,
    programs,
    report::{Bound, Result, Section, Table, Target},
};

/// Builds each program and looks at its length.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let mut table = Table::new("", &["program", "size"]);
    let mut targets = Vec::new();
    let mut add = |name: &str, size: u64, bound: Option<f64>| {
        table.rows.push(vec![name.into(), format!("{:.2} MiB", mebibytes(size))]);
        targets.extend(bound.map(|bound| Target { what: name.into(), measured: mebibytes(size), bound: Bound::AtMost(bound), unit: "MiB" }));
    };
    add("axum app, lodger with `default-features = false`", programs::size(&programs::alone(context, "lodger-small")?)?, Some(3.0));
    add("axum app, lodger with its default features", programs::size(&programs::uploaded(context, "hello")?)?, None);
    add("stock binary `lodger`", programs::size(&programs::alone(context, "lodger")?)?, Some(6.0));
    add("Go net/http/fcgi, the same hello", programs::size(&programs::go(context, "fcgi")?)?, None);
    add("Go net/http/cgi, the same hello", programs::size(&programs::go(context, "cgi")?)?, None);
    add("C, the same hello as a CGI program", programs::size(&programs::c(context, "hello_cgi.c", &["-static"])?)?, None);
    let about =
        "Release builds, linked statically and stripped, as they are uploaded to a web space. Those in Rust and C are linked against glibc.".into();
    Ok(Section { title: "Size of a program".into(), about, tables: vec![table], targets, ..Section::default() })
}

#[expect(clippy::cast_precision_loss, reason = "sizes of programs")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
