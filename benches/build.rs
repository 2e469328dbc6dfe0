//! Makes musl's malloc linkable into a program that otherwise uses glibc, for the comparison of allocators. Does nothing without the feature `allocators`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What Debian's package musl-dev installs.
const MUSL: &str = "/usr/lib/x86_64-linux-musl/libc.a";

/// The members that are musl's malloc, and which of several of the same name: the wrappers of malloc and its inside have files of the same names.
const MEMBERS: &[(&str, &str)] = &[
    ("malloc.lo", "1"),
    ("free.lo", "2"),
    ("realloc.lo", "1"),
    ("aligned_alloc.lo", "1"),
    ("libc_calloc.lo", "1"),
    ("replaced.lo", "1"),
    ("__lock.lo", "1"),
];

/// New names for what the program calls. glibc has functions of the old ones.
const RENAMED: &[(&str, &str)] = &[
    ("__libc_malloc_impl", "musl_malloc"),
    ("__libc_calloc", "musl_calloc"),
    ("__libc_realloc", "musl_realloc"),
    ("__libc_free", "musl_free"),
    ("aligned_alloc", "musl_aligned_alloc"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=peers/musl_malloc.c");
    if env::var_os("CARGO_FEATURE_ALLOCATORS").is_none() {
        return Ok(());
    }
    if !Path::new(MUSL).exists() {
        // Nobody but the linker needs it.
        println!("cargo::warning={MUSL} is missing: scripts/setup bench installs it");
        return Ok(());
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("musl");
    fs::create_dir_all(&folder)?;
    for (member, which) in MEMBERS {
        run(Command::new("ar").args(["xN", which, MUSL, member]).current_dir(&folder))?;
        let mut rename = Command::new("objcopy");
        for (old, new) in RENAMED {
            rename.arg("--redefine-sym").arg(format!("{old}={new}"));
        }
        run(rename.arg(member).current_dir(&folder))?;
    }
    let shim = env::current_dir()?.join("peers/musl_malloc.c");
    run(Command::new("cc").args(["-O2", "-Wall", "-Wextra", "-fPIC", "-c", "-o", "shim.o"]).arg(shim).current_dir(&folder))?;
    let mut link = Command::new("ld");
    link.args(["-r", "--defsym=__libc_malloc=musl_malloc", "-o", "all.o", "shim.o"]).args(MEMBERS.iter().map(|(member, _)| member));
    run(link.current_dir(&folder))?;
    let mut hide = Command::new("objcopy");
    hide.args(RENAMED.iter().flat_map(|(_, name)| ["--keep-global-symbol", name]));
    run(hide.args(["all.o", "musl_malloc.o"]).current_dir(&folder))?;
    println!("cargo::rustc-link-arg-bin=hello_musl_malloc={}", folder.join("musl_malloc.o").display());
    Ok(())
}

fn run(command: &mut Command) -> Result<(), Box<dyn std::error::Error>> {
    let status = command.status().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
