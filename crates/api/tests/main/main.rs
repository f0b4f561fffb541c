//! The API over a real engine: the SQL plugin, a store in memory, a database
//! in a temporary folder. Most tests call the router; `serving` uses sockets.

mod access;
mod executions;
mod history;
mod jobs;
mod malformed;
mod runs;
mod serving;
mod support;
