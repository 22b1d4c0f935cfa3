//! `forebay`, built together with the tests that run it, so that it shares their dependencies.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    forebay::run(std::env::args_os())
}
