//! The programs that are measured and that cargo does not build as a part of this package: peers in C and in Go, and what is linked statically.

use crate::{context::Context, report::Result};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The target of static builds. Rust's own for it would be musl's, which not every installation of Rust has; glibc can be linked statically as well.
const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds a program in C out of one source.
pub(crate) fn c(context: &Context, source: &str, arguments: &[&str]) -> Result<PathBuf> {
    let program = Context::bench_program(source.trim_end_matches(".c"))?;
    let mut command = Command::new("cc");
    command.args(["-O2", "-Wall", "-Wextra", "-s", "-o"]).arg(&program).arg(Context::source(source)).args(arguments);
    context.build(&mut command)?;
    Ok(program)
}

/// Builds one of the programs in Go. Without cgo it is static, as everybody ships it.
pub(crate) fn go(context: &Context, name: &str) -> Result<PathBuf> {
    let program = Context::bench_program(&format!("go-{name}"))?;
    let mut command = Command::new("go");
    command.args(["build", "-ldflags=-s -w", "-o"]).arg(&program).arg("main.go");
    command.current_dir(Context::source("go").join(name)).env("CGO_ENABLED", "0").env("GO111MODULE", "off");
    context.build(&mut command)?;
    Ok(program)
}

/// The programs of this package that are measured as they are uploaded. They are built at once, because one alone keeps a single core busy for most of the time.
const UPLOADED: [&str; 4] = ["hello", "knobs", "axum_http", "tokio_fastcgi"];

/// One of them, linked statically; in a smoke test, as cargo built it.
pub(crate) fn uploaded(context: &Context, program: &str) -> Result<PathBuf> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    if context.built {
        return Context::program(program);
    }
    if let Some(folder) = FOLDER.get() {
        return Ok(folder.join(program));
    }
    let folder = linked_statically(context, env!("CARGO_PKG_NAME"), &UPLOADED)?;
    Ok(FOLDER.get_or_init(|| folder).join(program))
}

/// The program that a package of the same name makes, linked statically and built by itself, so that it has the features that it asks for and no other.
pub(crate) fn alone(context: &Context, package: &str) -> Result<PathBuf> {
    Ok(linked_statically(context, package, &[package])?.join(package))
}

/// Builds programs of this workspace linked statically, at a fixed address as the README recommends and stripped, in a target folder of their own, and tells where they lie.
fn linked_statically(context: &Context, package: &str, programs: &[&str]) -> Result<PathBuf> {
    let folder = Context::bench_program("static")?;
    let mut command = cargo();
    command.args(["build", "--release", "--target", STATIC_TARGET, "--package", package, "--target-dir"]).arg(&folder);
    command.args(programs.iter().flat_map(|program| ["--bin", program]));
    if programs == UPLOADED {
        command.args(["--features", "peers"]);
    }
    command
        .current_dir(Context::root())
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    if !context.built {
        context.build(&mut command)?;
    }
    Ok(folder.join(STATIC_TARGET).join("release"))
}

/// How long a file is, in bytes.
pub(crate) fn size(program: &Path) -> Result<u64> {
    Ok(std::fs::metadata(program)?.len())
}

/// The cargo that runs this program, if one does.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
