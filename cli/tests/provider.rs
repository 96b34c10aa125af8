//! The stack's servers as processes: started, found again, killed, stopped. Real servers, each test with its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod servers;

#[test]
fn one_of_each_starts_and_is_shared() {
    let Some(services) = servers::all() else { return };
    assert_eq!(servers::all().unwrap(), services);
}
