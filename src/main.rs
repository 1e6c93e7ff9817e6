//! The `smppost` program: see [`smppost::cli`].

fn main() -> std::process::ExitCode {
    smppost::cli::main()
}
