//! What `probe` found of rate and window, in words: each says what was seen, and what to set only where that was shown.

use crate::run::probe::measuring::{RateFound, Window, words as per_second};
use crate::wire::CommandStatus;

fn named(status: CommandStatus) -> String {
    format!("0x{:02X} {}", status.0, status.name())
}

/// The rate; `None`: nothing was measured.
pub fn rate(found: &RateFound) -> Option<String> {
    Some(match *found {
        RateFound::Untried => return None,
        RateFound::Passed { count, seconds } => format!(
            "{count} in {seconds:.1} s, none throttled: too few to show a rate; --measure {} would show the same for three \
             seconds",
            enough(count, seconds)
        ),
        RateFound::Held { per_second: rate } => {
            format!("{}/s for three seconds and more, none throttled (more was not tried)", per_second(rate))
        }
        RateFound::Limit { per_second: rate, status } => format!(
            "more than {}/s is refused ({}); so much was taken for three seconds",
            per_second(rate),
            named(status)
        ),
        RateFound::Between { per_second: rate, refused, needs, status } => format!(
            "{}/s were taken for three seconds, and {}/s were refused ({}): --measure {needs} looks closer",
            per_second(rate),
            per_second(refused),
            named(status)
        ),
        RateFound::Unverified { about, needs, status } => format!(
            "throttled ({}) when about {} were taken in a second: that shows no rate yet; --measure {needs} goes on until \
             one is taken for three seconds",
            named(status),
            per_second(about)
        ),
        RateFound::Other { share, status } => format!(
            "{:.0} % are refused ({}) however slowly they are sent: the rate is not the reason; ask the provider what is",
            share * 100.0,
            named(status)
        ),
        RateFound::Penalty { seconds, about, status } => format!(
            "refused ({}) when about {} were taken in a second, and then nothing was accepted for {seconds:.0} s: a penalty; \
             stay below, and ask the provider for rate and penalty",
            named(status),
            per_second(about)
        ),
        RateFound::HungUp { about } => format!(
            "the connection ended after {} in a second: some SMSCs hang up on those who send too fast; ask the provider, or \
             probe with a lower --rate",
            per_second(about)
        ),
    })
}

/// Messages that show it for three seconds.
fn enough(count: usize, seconds: f64) -> usize {
    let rate = (count.saturating_sub(1)) as f64 / seconds.max(0.001);
    // The bursts come first, and are up to two in three of a small number.
    ((rate.min(10_000.0) * 3.2).ceil() as usize + 64).max(count + 1)
}

/// The window.
pub fn window(found: &Window, most: usize, allowed: usize) -> String {
    let beyond = |status: Option<CommandStatus>| match status {
        Some(status) => format!("is refused ({})", named(status)),
        None => "is not answered".to_owned(),
    };
    let was_refused = |status: Option<CommandStatus>| match status {
        Some(status) => format!("was refused ({})", named(status)),
        None => "was not answered".to_owned(),
    };
    match *found {
        Window::Is(window, status) => format!(
            "{window}: one more than {window} outstanding {}, whatever the rate: set --window {window}",
            beyond(status)
        ),
        Window::Perhaps(window, status) => format!(
            "perhaps {window}: one more than {window} at once {}; the rate may be the reason. --measure {} tells",
            beyond(status),
            20 + 10 * window
        ),
        Window::AtLeast(count) => {
            format!(
                "{count} at once were taken, of {allowed} allowed ({most} were outstanding at most; a larger one was not tried)"
            )
        }
        Window::Other(depth, status) => format!(
            "not found: more than {depth} at once {}, but one that was written a moment later, with {depth} outstanding, was taken: \
             the rate, chance or a long way to the SMSC may be the reason; where refusals go on, --window {depth} ends them ({most} \
             were outstanding at most, of {allowed} allowed)",
            was_refused(status)
        ),
        Window::Untried => format!("not tried ({most} was outstanding at most, of {allowed} allowed)"),
    }
}
