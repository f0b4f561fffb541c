//! MySQL and MariaDB: connections, statements, `KILL QUERY`. Statements without
//! parameters go by the text protocol, those with parameters by the prepared
//! one.

mod connect;
mod error;
mod link;
mod stop;
mod value;

pub(crate) use connect::MySql;
