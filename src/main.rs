//! The `smppost` program: see [`smppost::main`].

fn main() -> std::process::ExitCode {
    smppost::main()
}
