//! What every cache does, told against the port.

use std::time::{Duration, Instant};

use flashsale_core::{HoldNumber, ItemStatus};
use flashsale_engine::ports::{Cache, CacheNotice, CacheWrite, STOCK_LASTS, StockPicture};
use flashsale_engine::record::ItemNotice;

/// How long anything may take before the story fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The stories in one go; the cache is empty and knows the items 0 and 1.
pub async fn stories(cache: &dyn Cache) {
    the_newest_position_wins(cache).await;
    items_stand_apart(cache).await;
    product_data_is_kept_as_it_was_given(cache).await;
    a_reservation_s_end_is_told_and_a_removed_one_s_is_not(cache).await;
    many_writes_go_at_once(cache).await;
    stock_lapses_unless_it_is_renewed(cache).await;
}

pub fn picture(generation: u32, offset: u64, item: u16, held: u32) -> StockPicture {
    let item = ItemNotice {
        item,
        stock: 300,
        shortage: 2,
        held,
        sold: 7,
        waiting: 1,
        available: 290 - held,
        status: ItemStatus::Live,
        earliest_deadline: Some(1_795_798_803_250),
    };
    StockPicture { generation, offset, as_of: 1_795_798_800_125, item }
}

async fn put(cache: &dyn Cache, write: CacheWrite) {
    cache.write(&[write]).await.unwrap();
}

async fn the_newest_position_wins(cache: &dyn Cache) {
    assert_eq!(cache.stock(0).await.unwrap(), None);
    let beyond_doubles = (1 << 48) - 1;
    let steps = [
        (picture(0, 5, 0, 1), picture(0, 5, 0, 1)),
        (picture(0, 4, 0, 2), picture(0, 5, 0, 1)),
        (picture(0, 12, 0, 3), picture(0, 12, 0, 3)),
        (picture(0, beyond_doubles, 0, 4), picture(0, beyond_doubles, 0, 4)),
        (picture(0, beyond_doubles - 1, 0, 5), picture(0, beyond_doubles, 0, 4)),
        (picture(1, 0, 0, 6), picture(1, 0, 0, 6)),
        (picture(0, beyond_doubles, 0, 7), picture(1, 0, 0, 6)),
    ];
    for (written, kept) in steps {
        put(cache, CacheWrite::Stock(written)).await;
        assert_eq!(cache.stock(0).await.unwrap(), Some(kept), "after {:?}", written.position());
    }
}

async fn items_stand_apart(cache: &dyn Cache) {
    let (zero, one) = (picture(2, 1, 0, 10), picture(2, 1, 1, 20));
    cache.write(&[CacheWrite::Stock(zero), CacheWrite::Stock(one)]).await.unwrap();
    assert_eq!((cache.stock(0).await.unwrap(), cache.stock(1).await.unwrap()), (Some(zero), Some(one)));
}

async fn product_data_is_kept_as_it_was_given(cache: &dyn Cache) {
    assert_eq!(cache.product(1).await.unwrap(), None);
    let body = bytes::Bytes::from_static("{\"name\":\"Größe 42\"}".as_bytes());
    put(cache, CacheWrite::Product { item: 1, body: body.clone() }).await;
    assert_eq!((cache.product(1).await.unwrap(), cache.product(0).await.unwrap()), (Some(body), None));
}

/// The holds whose end is told until `last` is among them.
pub async fn told_until(cache: &dyn Cache, last: HoldNumber) -> Vec<HoldNumber> {
    let mut told = Vec::new();
    let hear = async {
        while !told.contains(&last) {
            match cache.expired().await {
                Ok(CacheNotice::Expired(hold)) => told.push(hold),
                Ok(CacheNotice::Missed) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, hear).await.unwrap_or_else(|_| panic!("the end of hold {last} was never told"));
    told
}

/// Waits until the cache listens to its servers: what ends before that may go untold.
pub async fn listening(cache: &dyn Cache) {
    let begun = Instant::now();
    for hold in 1_000_000.. {
        let soon = jiff::Timestamp::now().as_millisecond() + 20;
        let _ = cache.write(&[CacheWrite::Hold { hold, item: 0, expires_at: soon }]).await;
        if let Ok(Ok(CacheNotice::Expired(_))) = tokio::time::timeout(Duration::from_secs(1), cache.expired()).await {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no notice came");
    }
}

async fn a_reservation_s_end_is_told_and_a_removed_one_s_is_not(cache: &dyn Cache) {
    listening(cache).await;
    let now = jiff::Timestamp::now().as_millisecond();
    let hold = |hold, item, after| CacheWrite::Hold { hold, item, expires_at: now + after };
    cache.write(&[hold(7, 0, 300), hold(8, 0, 300), hold(9, 1, 900)]).await.unwrap();
    put(cache, CacheWrite::Ended { hold: 8, item: 0 }).await;
    put(cache, CacheWrite::Ended { hold: 8, item: 0 }).await;
    let told = told_until(cache, 9).await;
    assert!(told.contains(&7) || told_until(cache, 7).await.contains(&7));
    assert!(!told.contains(&8), "{told:?}");
    assert!(jiff::Timestamp::now().as_millisecond() >= now + 900, "a hold's end was told before its time");
}

async fn many_writes_go_at_once(cache: &dyn Cache) {
    let later = jiff::Timestamp::now().as_millisecond() + 3_600_000;
    let holds = (100..2_600).map(|hold| CacheWrite::Hold { hold, item: (hold % 2) as u16, expires_at: later });
    let stock = [CacheWrite::Stock(picture(3, 1, 0, 30)), CacheWrite::Stock(picture(3, 1, 1, 40))];
    let writes: Vec<CacheWrite> = holds.chain(stock).collect();
    cache.write(&writes).await.unwrap();
    cache.write(&writes).await.unwrap();
    assert_eq!(cache.stock(1).await.unwrap().unwrap().item.held, 40);
}

async fn stock_lapses_unless_it_is_renewed(cache: &dyn Cache) {
    let (kept, left) = (picture(4, 1, 0, 50), picture(4, 1, 1, 60));
    let written = Instant::now();
    cache.write(&[CacheWrite::Stock(kept), CacheWrite::Stock(left)]).await.unwrap();
    while cache.stock(1).await.unwrap().is_some() {
        assert!(written.elapsed() < PATIENCE, "stock that nobody renews stays");
        put(cache, CacheWrite::Stock(kept)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(written.elapsed() >= STOCK_LASTS, "lapsed after {:?}", written.elapsed());
    assert_eq!(cache.stock(0).await.unwrap(), Some(kept), "the same position renews");
}
