//! A changed sale file and a running sale, with the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use stage::{Stage, sale};

#[test]
fn a_running_sale_follows_its_file_as_far_as_it_may() {
    let stage = Stage::new();
    let plain = sale("1h", "1h", "");
    stage.write("sale.yaml", &plain);
    stage.expect(64, &["apply", "--reason", "nothing is up"]);
    stage.expect(0, &["up", "sale.yaml"]);
    stage.wait("up", |status| status["writer"]["epoch"] == 1);
    assert!(stage.expect(0, &["apply", "--reason", "same"]).contains("runs as the file says"));

    let wrong =
        format!("pace: 50\n{}", plain.replace("stock: 300", "stock: 310").replace("duration: 1h", "duration: 2h"));
    stage.write("sale.yaml", &wrong);
    let told = stage.expect(65, &["apply", "--yes", "--reason", "all at once"]);
    for named in ["items[S-1].stock", "flashsale adjust S-1 --by 10", "duration: 3600s", "flashsale extend"] {
        assert!(told.contains(named), "{named}: {told}");
    }
    assert!(stage.status().unwrap()["pace"].is_null(), "nothing of a refused file is applied");

    stage.write("sale.yaml", &format!("pace: 50\n{plain}"));
    stage.expect(65, &["up", "sale.yaml"]);
    assert!(stage.expect(0, &["apply", "--dry-run", "--reason", "slowly"]).contains("would change pace: none -> 50"));
    stage.expect(77, &["apply", "--reason", "nobody said yes"]);
    assert!(stage.status().unwrap()["pace"].is_null());
    assert!(stage.expect(0, &["apply", "--yes", "--reason", "slowly"]).contains("pace: none -> 50"));
    stage.wait("paced", |status| status["pace"] == 50);
    assert!(stage.expect(0, &["up", "sale.yaml"]).contains("is up"), "the applied file is the sale's own now");

    // An operator's own change is undone by applying the file again.
    stage.expect(0, &["pace", "7", "--reason", "slower"]);
    assert!(stage.expect(0, &["apply", "--yes", "--reason", "as written"]).contains("pace: 7 -> 50"));
    stage.expect(0, &["audit", "verify"]);
    stage.expect(0, &["down"]);
    stage.expect(69, &["apply", "--yes", "--reason", "no engine"]);
}
