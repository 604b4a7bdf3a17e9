//! The program `lidmark`: everything is in the library's `commands`.

/// Values of a row are made on one thread and dropped on SQLite's own, which is what the C library's
/// allocator is slow at: an import takes a fifth less processor time with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    lidmark::commands::run()
}
