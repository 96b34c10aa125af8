//! Gateways, an allocator and its standby as processes of their own, on real servers: one sale, whoever dies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cast;
mod servers;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Instant;

use cast::Play;
use flashsale_engine::sale::Process;
use futures_util::future::join_all;
use rustix::process::Signal;

/// Two of each, selling.
async fn cast() -> Option<(Play, [Process; 2], [Process; 2])> {
    let services = tokio::task::spawn_blocking(servers::all).await.unwrap()?;
    let mut play = Play::on(&services);
    let first = play.enter("allocator", "allocator-1").await;
    play.until("the first one writes", async || {
        play.status(&first).await.is_some_and(|status| status["leads"] == true)
    })
    .await;
    let second = play.enter("allocator", "allocator-2").await;
    let gateways = [play.enter("gateway", "gateway-1").await, play.enter("gateway", "gateway-2").await];
    play.open(&first, &[&gateways[0], &gateways[1]]).await;
    Some((play, [first, second], gateways))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_and_nothing_that_was_told_is_lost() {
    let Some((mut play, [first, second], gateways)) = cast().await else { return };
    let [one, other] = [gateways[0].listen.unwrap(), gateways[1].listen.unwrap()];
    assert_eq!(play.status(&second).await.unwrap()["leads"], false);
    let mut told = Vec::new();
    for number in 0..40 {
        told.push(
            play.granted(if number % 2 == 0 { one } else { other }, &format!("key-{number}")).await.reservation(),
        );
    }
    play.signal("allocator-1", Signal::KILL);
    play.exit("allocator-1").await;
    let killed = Instant::now();
    told.push(play.granted(one, "after").await.reservation());
    let _ = writeln!(std::io::stderr(), "decided again {:?} after the kill", killed.elapsed());

    let status = play.status(&second).await.unwrap();
    assert_eq!(
        (&status["leads"], &status["writer"]["epoch"], &status["armed"]),
        (&true.into(), &2.into(), &true.into())
    );
    for (number, reservation) in told.iter().enumerate().take(40) {
        // The same request through the other gateway: the same reservation.
        let again = play.granted(if number % 2 == 0 { other } else { one }, &format!("key-{number}")).await;
        assert_eq!((&again.reservation(), again.replayed), (reservation, true));
        assert_eq!(play.look(other, &format!("/v1/reservations/{reservation}")).await.0, 200);
    }
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), 41);
    assert!(!first.name.is_empty());
    let audit = play.end().await;
    assert_eq!((&audit["granted"], &audit["oversold"]), (&41.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_slept_through_its_succession_changes_nothing_and_ends() {
    let Some((mut play, _, gateways)) = cast().await else { return };
    let one = gateways[0].listen.unwrap();
    let before = play.granted(one, "before").await.reservation();
    play.signal("allocator-1", Signal::STOP);
    let during = play.granted(one, "during").await.reservation();
    play.signal("allocator-1", Signal::CONT);
    let status = play.exit("allocator-1").await;
    assert!(!status.success(), "a writer that lost its epoch says so: {status}");
    let after = play.granted(one, "after").await.reservation();
    assert_eq!(play.granted(gateways[1].listen.unwrap(), "before").await.reservation(), before);
    assert_eq!([before, during, after].iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(play.end().await["granted"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_through_the_standby_shuts_every_gateway_at_once() {
    let Some((play, [first, second], gateways)) = cast().await else { return };
    let at = gateways.each_ref().map(|gateway| gateway.listen.unwrap());
    let (status, changed) = play.change(&second, "halt", "halt-1").await;
    assert_eq!(status, 200, "{changed}");
    assert!(changed["steps"].to_string().contains("gate shut in 2 of 2 gateways"), "{changed}");
    for gateway in at {
        let refused = play.reserve(gateway, "halted").await.unwrap();
        assert_eq!((refused.status, &refused.body["code"]), (503, &"halted".into()));
    }
    play.until("the writer halted", async || play.status(&first).await.is_some_and(|now| now["phase"] == "halted"))
        .await;
    let (status, changed) = play.change(&first, "resume", "resume-1").await;
    assert_eq!(status, 200, "{changed}");
    for gateway in at {
        play.granted(gateway, &format!("resumed-{gateway}")).await;
    }
    assert_eq!(play.end().await["granted"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_retries_through_every_gateway_grants_each_request_once() {
    let Some((play, _, gateways)) = cast().await else { return };
    let at = gateways.each_ref().map(|gateway| gateway.listen.unwrap());
    let (play_ref, times) = (&play, 20);
    let asked = (0..30 * times).map(|number| async move {
        let (key, gateway) = (number % 30, at[(number / 30) % 2]);
        (key, play_ref.granted(gateway, &format!("storm-{key}")).await.reservation())
    });
    let granted: BTreeSet<_> = join_all(asked).await.into_iter().collect();
    assert_eq!(granted.len(), 30, "{granted:?}");
    let audit = play.end().await;
    assert_eq!((&audit["granted"], &audit["oversold"]), (&30.into(), &0.into()));
}
