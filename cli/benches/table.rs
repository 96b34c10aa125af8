//! Everything that the other benchmarks found, as one table: the last step of `make bench`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod rows;

/// In the order of the table.
const BENCHMARKS: [&str; 3] = ["apply", "availability", "reserve"];

fn main() {
    // `cargo test --benches` only asks whether this builds.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    println!("\n{}", rows::table(&BENCHMARKS));
    println!("measured on this machine in this run; ratios are of turns taken side by side");
}
