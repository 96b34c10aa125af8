//! What is known of a request by its id: the board, then those that came late, then the ledger's rows.

use flashsale_core::{HoldNumber, RequestKey, SubjectKey};

use super::late::{Decision, Late};
use crate::ports::{History, HoldRow, LedgerError};
use crate::publisher::board::Board;

/// Where a request stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nobody can say yet: what earlier writers told may still be missing here.
    Starting,
    /// Granted, or a place in the waitlist: on the board.
    Granted(HoldNumber),
    /// The same, by a row: the board does not hold it.
    Row(Box<HoldRow>),
    /// Not granted; whose it is, and what became of it.
    Late(SubjectKey, Decision),
    /// Never granted: to be sent again under its id.
    Nothing,
    /// The same, by the ledger's rows: the board could not say.
    NoRow,
}

/// Looks a request up.
///
/// # Errors
/// The ledger's, when only it could say.
pub async fn find(
    board: &Board,
    late: &Late,
    history: &dyn History,
    request: RequestKey,
) -> Result<Found, LedgerError> {
    if let Some(hold) = board.granted(request) {
        return Ok(Found::Granted(hold));
    }
    if !board.leads() {
        return Ok(Found::Starting);
    }
    match late.get(request) {
        Some((subject, decision @ (Decision::Pending | Decision::Refused(_)))) => Ok(Found::Late(subject, decision)),
        // A fresh board knows every grant: what it does not know was not granted, and a stranger's guesses cost no query.
        Some((_, Decision::Lost)) | None if board.fresh() => Ok(Found::Nothing),
        Some((_, Decision::Lost)) | None => {
            Ok(history.request(request).await?.map_or(Found::NoRow, |row| Found::Row(Box::new(row))))
        }
    }
}
