//! Waiting for what a process cannot start without, and saying so.

use std::time::Duration;

use forebay_server::Starting;
use tokio::time::Instant;

/// Pause after the first failure; each one more doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Of one attempt.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often the log repeats what is waited for.
const REPEAT: Duration = Duration::from_secs(30);

/// Why something is not there.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// It may come.
    Yet(String),
    /// Waiting does not help: the settings must change.
    Never(String),
}

/// Tries until it is there. What keeps it away is in the log and in /readyz: `cassandra: at 127.0.0.1:9042: …`.
///
/// # Errors
/// The reason of [`Missing::Never`], with what it was tried for.
pub async fn until<T>(
    starting: &Starting,
    name: &'static str,
    place: &str,
    attempt: impl AsyncFn() -> Result<T, Missing>,
) -> Result<T, String> {
    starting.waits_for(name, format!("at {place}"));
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut said: Option<(String, Instant)> = None;
    loop {
        let reason = match tokio::time::timeout(DEADLINE, attempt()).await {
            Ok(Ok(found)) => {
                if said.is_some() {
                    tracing::info!(name, place, seconds = began.elapsed().as_secs(), "found");
                }
                starting.found(name);
                return Ok(found);
            }
            Ok(Err(Missing::Never(reason))) => return Err(format!("{name} at {place}: {reason}")),
            Ok(Err(Missing::Yet(reason))) => reason,
            Err(_) => format!("no answer within {DEADLINE:?}"),
        };
        starting.waits_for(name, format!("at {place}: {reason}"));
        let is_new = said
            .as_ref()
            .is_none_or(|(before, at)| *before != reason || at.elapsed() > REPEAT);
        if is_new {
            tracing::warn!(name, place, reason, "waiting");
            said = Some((reason, Instant::now()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn it_is_waited_for_and_said() {
        let starting = Starting::default();
        let tried = Cell::new(0);
        let attempt = async || {
            tried.set(tried.get() + 1);
            match tried.get() {
                1 => {
                    assert_eq!(starting.waiting_for(), [("cassandra", "at there".to_owned())]);
                    Err(Missing::Yet("connection refused".to_owned()))
                }
                _ => {
                    let said = "at there: connection refused".to_owned();
                    assert_eq!(starting.waiting_for(), [("cassandra", said)]);
                    Ok(7)
                }
            }
        };
        assert_eq!(until(&starting, "cassandra", "there", attempt).await, Ok(7));
        assert_eq!(starting.waiting_for(), []);
    }

    #[tokio::test]
    async fn what_never_comes_is_not_waited_for() {
        let attempt = async || Err::<(), _>(Missing::Never("`keyspace` is no name".to_owned()));
        let refused = until(&Starting::default(), "cassandra", "there", attempt).await;
        assert_eq!(refused, Err("cassandra at there: `keyspace` is no name".to_owned()));
    }
}
