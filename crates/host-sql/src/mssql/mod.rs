//! SQL Server, spoken to in its own protocol (MS-TDS 7.4). The messages'
//! forms come from `tds-protocol`; what is here is the conversation. No driver
//! that speaks TLS by rustls hands out what a batch prints and counts.

mod answer;
mod bind;
mod connect;
mod error;
mod handshake;
mod link;
mod row;
mod types;
mod value;
mod wire;

pub(crate) use connect::MsSql;
