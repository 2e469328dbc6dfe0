//! The programs that are measured and that cargo does not build as a part of this package: peers in C and in Go, and what is linked statically.

use crate::{context::Context, report::Result};
use std::{
    path::{Path, PathBuf},
    process::Command,
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

/// Builds an example of lodger.
pub(crate) fn example(context: &Context, name: &str) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--release", "--package", "lodger", "--example", name]).current_dir(Context::root());
    if !context.built {
        context.build(&mut command)?;
    }
    Context::program(&format!("examples/{name}"))
}

/// A program of this package as it is uploaded, linked statically; in a smoke test, as cargo built it.
pub(crate) fn uploaded(context: &Context, program: &str) -> Result<PathBuf> {
    if context.built { Context::program(program) } else { linked_statically(context, "lodger-bench", program) }
}

/// Builds a program of this workspace linked statically, at a fixed address as the README recommends and stripped, in a target folder of its own.
pub(crate) fn linked_statically(context: &Context, package: &str, program: &str) -> Result<PathBuf> {
    let folder = Context::bench_program("static")?;
    let mut command = cargo();
    command.args(["build", "--release", "--target", STATIC_TARGET, "--package", package, "--bin", program, "--target-dir"]).arg(&folder);
    if package == env!("CARGO_PKG_NAME") {
        // With the same features each time, so that nothing is built twice.
        command.args(["--features", "peers"]);
    }
    command
        .current_dir(Context::root())
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    if !context.built {
        context.build(&mut command)?;
    }
    Ok(folder.join(STATIC_TARGET).join("release").join(program))
}

/// How long a file is, in bytes.
pub(crate) fn size(program: &Path) -> Result<u64> {
    Ok(std::fs::metadata(program)?.len())
}

/// The cargo that runs this program, if one does.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
