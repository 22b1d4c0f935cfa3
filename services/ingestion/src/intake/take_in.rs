use std::sync::Arc;

use forebay_api::{Code, Problem};
use forebay_catalog::Group;
use forebay_server::ApiError;
use forebay_storage::{ClaimKey, Topic};

use super::{Accepted, Decoded, Rejections, Turn, append, batch_id, claim_of, give_up, reject_ahead, replayed};
use crate::state::AppState;

/// A claim under which nothing can be appended is given up; so often a new one is tried.
const TURNS: usize = 3;

/// What became of a request's rows.
pub(crate) enum Taken {
    /// The log holds them.
    In(Accepted),
    /// They were taken in before, and this was the answer.
    Before(Accepted),
    /// Some do not fit, and so none was taken in.
    Refused(Rejections),
}

/// Takes the rows of a request in, once for each idempotency key, whatever other attempts of the request do meanwhile, here or in other processes.
///
/// All attempts emit the same rows under the identity that the first has claimed, and the sinks drop the repeated ones. Which rows they are depends on the moment
/// of the claim and on the definitions, which may have changed between two attempts: an attempt that would emit other rows emits none.
///
/// # Errors
/// 409, 422, 429 or 503, as in [`claim_of`] and [`append`].
pub(crate) async fn take_in(
    state: AppState,
    group: Arc<Group>,
    decoded: Decoded,
    body_hash: u128,
    key: Option<ClaimKey>,
    skip_invalid: bool,
) -> Result<Taken, ApiError> {
    let ingest_time = state.in_flight.begin(Topic::of(&group.schema));
    let refused = |rejections: &Rejections| rejections.count > 0 && !skip_invalid;
    let Some(key) = key else {
        let rejections = reject_ahead(&decoded, ingest_time.time());
        return match refused(&rejections) {
            true => Ok(Taken::Refused(rejections)),
            false => append(&state, &group, decoded, rejections, ingest_time, None)
                .await
                .map(Taken::In),
        };
    };
    for _ in 0..TURNS {
        let turn = claim_of(&state, key.clone(), &decoded, body_hash, ingest_time.time()).await?;
        let claimed = match turn {
            // Before anything else: a repeat is answered as the first time, also where its rows would not fit any more.
            Turn::Answered(body) => return replayed(body).map(Taken::Before),
            Turn::Append(claimed) => claimed,
        };
        let moment = claimed.claim.ingest_time;
        let rejections = reject_ahead(&decoded, moment);
        let same_rows = claimed.claim.batch == batch_id(&claimed.key, body_hash, moment, &decoded);
        match (refused(&rejections), same_rows) {
            (false, true) => {
                return append(&state, &group, decoded, rejections, ingest_time, Some(claimed))
                    .await
                    .map(Taken::In);
            }
            // Whoever made the claim was refused for the same reason and has appended nothing.
            (true, true) => {
                let first = claimed.is_first;
                give_up(claimed).await?;
                if first {
                    return Ok(Taken::Refused(rejections));
                }
            }
            // The first attempt may have appended what it found fitting then.
            (true, false) => return Ok(Taken::Refused(rejections)),
            (false, false) => {
                let detail = "the group's definition has changed since the first request with this Idempotency-Key, whose rows may have been taken in; look for them, and send what is missing with a new key";
                return Err(ApiError::new(Code::Conflict, detail));
            }
        }
    }
    let detail = "other requests with this Idempotency-Key are being worked on; repeat this one shortly";
    Err(Problem::new(Code::IdempotencyKeyInUse, detail).retry_after(1).into())
}
