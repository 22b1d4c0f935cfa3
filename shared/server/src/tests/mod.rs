//! The server over real sockets.

mod drain;
mod limits;
mod routes;
mod starting;
mod things;
