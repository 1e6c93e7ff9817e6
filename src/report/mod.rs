//! stub
pub mod cli {
    use clap::Args;
    use std::io::Write;
    use std::path::Path;
    #[derive(Debug, Args)]
    pub struct ListArgs {}
    #[derive(Debug, Args)]
    pub struct ReportArgs {}
    #[derive(Debug, Args)]
    pub struct ExplainArgs {}
    #[derive(Debug, Args)]
    pub struct VerifyArgs {}
    impl ListArgs {
        pub fn run(&self, _: &Path, _: &mut dyn Write) -> Result<u8, super::ReportError> {
            Ok(0)
        }
    }
    impl ReportArgs {
        pub fn run(&self, _: &Path, _: &mut dyn Write) -> Result<u8, super::ReportError> {
            Ok(0)
        }
    }
    impl VerifyArgs {
        pub fn run(&self, _: &Path, _: &mut dyn Write) -> Result<u8, super::ReportError> {
            Ok(0)
        }
    }
    impl ExplainArgs {
        pub fn run(&self, _: &mut dyn Write) -> Result<u8, super::ReportError> {
            Ok(0)
        }
    }
}
#[derive(Debug)]
pub struct ReportError;
impl std::fmt::Display for ReportError {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl ReportError {
    pub fn is_broken_pipe(&self) -> bool {
        false
    }
}
pub struct SendSummary;
impl SendSummary {
    pub fn read(_: &std::path::Path, _: &[String]) -> Result<Self, ReportError> {
        Ok(Self)
    }
    pub fn write(
        &self,
        _: std::time::Duration,
        _: u64,
        _: &std::path::Path,
        _: &mut dyn std::io::Write,
    ) -> std::io::Result<()> {
        Ok(())
    }
    pub fn exit_code(&self) -> u8 {
        0
    }
}
