//! `forebay-ingestion`: the service as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    forebay_networked::run::<forebay_ingestion::Program>(std::env::args_os())
}
