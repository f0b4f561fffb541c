//! PostgreSQL: connections, statements, cancel requests. Statements without
//! parameters go by the simple protocol, whose values are text for every type
//! there is; those with parameters by the extended one, which alone binds
//! values, and whose values tokio-postgres asks for in binary.

mod binary;
mod bind;
mod connect;
mod error;
mod link;
mod stop;
mod text;

pub(crate) use connect::PostgreSql;
