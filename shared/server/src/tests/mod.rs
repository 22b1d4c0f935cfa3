//! The server over real sockets.

mod drain;
mod limits;
mod routes;
mod things;
