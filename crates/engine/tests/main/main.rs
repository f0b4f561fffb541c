//! The engine over a real store and the SQL plugin: what it promises of a run
//! whatever fails. Never speaks HTTP.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by a panic"
)]

mod concurrency;
mod crashing;
mod durable;
mod firing;
mod following;
mod life;
mod retries;
mod rules;
mod scene;
mod sharing;
mod simulation;
mod support;
mod test_store;
mod watching;
