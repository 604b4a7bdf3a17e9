//! The program `lidmark`: everything is in the library's `commands`.

fn main() -> std::process::ExitCode {
    lidmark::commands::run()
}
