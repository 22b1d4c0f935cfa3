//! `forebay-offline-query`: the service as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    forebay_networked::run::<forebay_offline_query::Program>(std::env::args_os())
}
