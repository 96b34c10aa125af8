//! `up` freezes a definition: relative times are resolved once, secrets are made, and a changed file is noticed.

use std::fs;

use flashsale_engine::sale::definition::OpensAt;
use flashsale_engine::sale::{Folder, Frozen, Sale, environment};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::place;

/// The frozen sale of a file: made now, or found as it was frozen before.
pub fn freeze(
    context: &Context,
    sale: &Sale,
    text: &str,
    sets: &[String],
    new_run: bool,
    rehearsal: bool,
) -> Result<(Folder, Frozen), Failure> {
    let name = if rehearsal { format!("{}.rehearsal", sale.definition.sale) } else { sale.definition.sale.clone() };
    let folder = place::make_folder(context, &name)?;
    let hash = hash(text, sets);
    if folder.frozen().exists() && !new_run {
        let frozen = place::frozen(&folder)?;
        if frozen.source_hash == hash {
            return Ok((folder, frozen));
        }
        return Err(changed(&folder, text, &name));
    }
    let now = Timestamp::now();
    let opens_at = match sale.definition.opens_at {
        None => None,
        Some(OpensAt::At(at)) => Some(at),
        Some(OpensAt::In(wait)) => {
            let wait = jiff::SignedDuration::try_from(wait).unwrap_or_default();
            Some(now.checked_add(wait).map_err(|error| Failure::new(Exit::BadFile, error.to_string()))?)
        }
    };
    let frozen = Frozen {
        run: Uuid::now_v7(),
        frozen_at: now,
        opens_at,
        rehearsal,
        source_hash: hash,
        definition: sale.definition.clone(),
    };
    place::write_secret(&folder.operator_token(), &flashsale_engine::id::hex(&rand::random::<[u8; 24]>()))?;
    place::write_secret(&folder.shopper_key(), &flashsale_engine::token::new_secret())?;
    fs::write(folder.source(), text)?;
    folder.write_frozen(&frozen)?;
    Ok((folder, frozen))
}

/// Takes a changed file for the frozen one: its pace is applied already, and nothing else may differ.
pub fn adopt(folder: &Folder, frozen: &mut Frozen, text: &str, sets: &[String]) -> Result<(), Failure> {
    frozen.source_hash = hash(text, sets);
    fs::write(folder.source(), text)?;
    Ok(folder.write_frozen(frozen)?)
}

fn hash(text: &str, sets: &[String]) -> String {
    let mut hash = Sha256::new();
    hash.update(text);
    for set in environment::settings().iter().chain(sets) {
        hash.update([0]);
        hash.update(set);
    }
    flashsale_engine::id::hex(&hash.finalize())
}

/// The first lines that differ from what was frozen.
fn changed(folder: &Folder, text: &str, name: &str) -> Failure {
    let frozen = fs::read_to_string(folder.source()).unwrap_or_default();
    let mut differences = Vec::new();
    let (old, new): (Vec<&str>, Vec<&str>) = (frozen.lines().collect(), text.lines().collect());
    for place in 0..old.len().max(new.len()) {
        let (before, after) = (old.get(place).copied(), new.get(place).copied());
        if before != after && differences.len() < 6 {
            differences.push(format!(
                "  line {}\n    - {}\n    + {}",
                place + 1,
                before.unwrap_or(""),
                after.unwrap_or("")
            ));
        }
    }
    let text = format!("{name} was frozen with another definition\n{}", differences.join("\n"));
    Failure::new(Exit::BadFile, text).help(
        "put the file back; or `flashsale run FILE --new-run` for the next run; the pace changes with `flashsale apply FILE`",
    )
}
