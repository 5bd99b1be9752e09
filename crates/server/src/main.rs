//! The `vestibule` binary.

use std::process::ExitCode;

/// Answers are made on one thread and freed on another; with the allocator of glibc threads wait for each
/// other over that.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    vestibule_server::cli::run()
}
