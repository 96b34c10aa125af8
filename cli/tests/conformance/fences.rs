//! Who may write.

use flashsale_engine::ports::{Checkpoint, CommitEnd, ItemChange, LedgerBatch};
use uuid::Uuid;

use super::LedgerStack;
use super::tellers::{Teller, everything, granted, item, moved};

pub async fn the_row_is_made_once(stack: &dyn LedgerStack) {
    let (one, other) = tokio::join!(stack.open(), stack.open());
    let expected = Checkpoint {
        run: None,
        epoch: 0,
        writer: Uuid::nil(),
        generation: 0,
        next_offset: 0,
        digest: 0,
        chain: [0; 32],
        log: Uuid::nil(),
        last_record: [0; 32],
        published_through: 0,
        beat: 0,
    };
    assert_eq!(one.ledger.checkpoint().await.unwrap(), expected);
    assert_eq!(other.ledger.checkpoint().await.unwrap(), expected);
    assert_eq!(other.history.writer().await.unwrap(), Some(expected));
}

pub async fn a_takeover_is_compared_and_swapped(stack: &dyn LedgerStack) {
    let (one, other) = (stack.open().await, stack.open().await);
    let (mine, yours) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let seen = one.ledger.checkpoint().await.unwrap().epoch;
    let first = one.ledger.take_over(seen, mine).await.unwrap().expect("nobody was faster");
    assert_eq!((first.epoch, first.writer, first.next_offset), (1, mine, 0));
    assert_eq!(other.ledger.take_over(seen, yours).await.unwrap(), None, "from a row that has moved");
    let row = other.ledger.checkpoint().await.unwrap();
    assert_eq!((row.epoch, row.writer), (1, mine));
    let second = other.ledger.take_over(row.epoch, yours).await.unwrap().expect("from the row as it is");
    assert_eq!((second.epoch, second.writer), (2, yours));
}

pub async fn a_stale_batch_changes_nothing_anywhere(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(2).await;
    let before = everything(&teller.at).await;
    let mut sound = teller.next();
    sound.items = vec![moved(item(10, 2, 0), item(10, 3, 0))];
    sound.holds = vec![granted(2)];
    type Change = fn(&mut LedgerBatch);
    let stale: [(&str, Change); 5] = [
        ("epoch", |batch| batch.epoch -= 1),
        ("writer", |batch| batch.writer = Uuid::from_u128(99)),
        ("offset", |batch| batch.first_offset += 1),
        ("digest", |batch| batch.digest_before ^= 1 << 63),
        ("run", |batch| batch.run = Uuid::from_u128(98)),
    ];
    for (what, change) in stale {
        let mut batch = sound.clone();
        change(&mut batch);
        let end = teller.at.ledger.commit(&batch).await.unwrap();
        let CommitEnd::Fenced(row) = end else { panic!("{what}: {end:?}") };
        assert_eq!((row.epoch, row.next_offset, row.digest), (before.0.epoch, before.0.next_offset, before.0.digest));
        assert_eq!(everything(&teller.at).await, before, "{what}");
    }
    teller.commit(&sound).await;
}

pub async fn of_two_writers_the_later_writes(stack: &dyn LedgerStack) {
    let mut old = Teller::seated(stack, 1).await;
    old.opens(1).await;
    let mut new = Teller::seated(stack, 2).await;
    assert_eq!((new.row.epoch, new.row.next_offset, new.row.digest), (2, old.row.next_offset, old.row.digest));

    let mut late = old.next();
    late.items = vec![ItemChange { before: Some(item(10, 1, 0)), after: item(10, 2, 0) }];
    late.holds = vec![granted(1)];
    let before = everything(&new.at).await;
    // A server that ends the old writer's sessions answers nothing first, and tells the truth when asked again.
    let mut end = old.at.ledger.commit(&late).await;
    while matches!(end, Ok(CommitEnd::Unknown(_)) | Err(_)) {
        end = old.at.ledger.resolve(&late).await;
    }
    let Ok(CommitEnd::Fenced(row)) = end else { panic!("{end:?}") };
    assert_eq!((row.epoch, row.writer), (2, new.row.writer));
    let (epoch, writer) = (old.row.epoch, old.row.writer);
    let beaten = old.at.ledger.beat(epoch, writer).await;
    let beaten = if beaten.is_err() { old.at.ledger.beat(epoch, writer).await } else { beaten };
    assert!(!beaten.unwrap());
    old.at.ledger.published(epoch, 1).await.unwrap();
    assert!(!old.at.ledger.resign(epoch, writer).await.unwrap());
    assert!(!old.at.ledger.rewrite(epoch, writer, &Default::default()).await.unwrap());
    assert_eq!(everything(&new.at).await, before);

    let mut batch = new.next();
    (batch.items, batch.holds) = (late.items, late.holds);
    new.commit(&batch).await;
}

pub async fn a_beat_shows_a_life(stack: &dyn LedgerStack) {
    let teller = Teller::seated(stack, 1).await;
    let (epoch, writer) = (teller.row.epoch, teller.row.writer);
    let onlooker = stack.open().await;
    let before = onlooker.ledger.checkpoint().await.unwrap();
    assert!(teller.at.ledger.beat(epoch, writer).await.unwrap());
    let after = onlooker.ledger.checkpoint().await.unwrap();
    assert_ne!(after.beat, before.beat);
    assert_eq!(Checkpoint { beat: 0, ..after.clone() }, Checkpoint { beat: 0, ..before });
    assert!(!teller.at.ledger.beat(epoch, Uuid::from_u128(99)).await.unwrap());
    assert!(!teller.at.ledger.beat(epoch + 1, writer).await.unwrap());
    assert_eq!(onlooker.ledger.checkpoint().await.unwrap(), after);
}

pub async fn a_resigned_row_names_nobody(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(1).await;
    let (epoch, writer) = (teller.row.epoch, teller.row.writer);
    assert!(!teller.at.ledger.resign(epoch, Uuid::from_u128(99)).await.unwrap());
    assert!(teller.at.ledger.resign(epoch, writer).await.unwrap());
    let row = teller.at.ledger.checkpoint().await.unwrap();
    assert_eq!((row.writer, row.epoch, row.next_offset), (Uuid::nil(), epoch, 1));
    let late = teller.at.ledger.commit(&teller.next()).await.unwrap();
    assert!(matches!(late, CommitEnd::Fenced(_)), "{late:?}");
    let next = Teller::seated(stack, 2).await;
    assert_eq!((next.row.epoch, next.row.next_offset), (epoch + 1, 1));
}
