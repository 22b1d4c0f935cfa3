//! Ports that nobody else takes, also while the server that listens there is stopped.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::Error;
use crate::download::cache;

/// Below the ports that the system gives to connections and to listeners on port 0 (from 32768 on Linux), so that none of them is in the way of a restart.
pub(crate) const FIRST: u16 = 20_000;
pub(crate) const LAST: u16 = 29_999;

/// A port of an address of this machine that no other test bed of it uses, at any address, as long as this lives.
#[derive(Debug)]
pub struct Port {
    pub number: u16,
    address: Ipv4Addr,
    _lock: File,
}

impl Port {
    /// Takes a free one of 127.0.0.1.
    ///
    /// # Errors
    /// When there is none, or the cache folder cannot be written.
    pub fn take() -> Result<Port, Error> {
        Port::take_at(Ipv4Addr::LOCALHOST)
    }

    /// Takes a free one of this address.
    ///
    /// # Errors
    /// When there is none, the address is not this machine's, or the cache folder cannot be written.
    pub fn take_at(address: Ipv4Addr) -> Result<Port, Error> {
        let folder = cache().join("ports");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let span = LAST - FIRST + 1;
        // Each process begins elsewhere, so that they seldom try the same one.
        let begin = std::process::id().wrapping_mul(97) % u32::from(span);
        for step in 0..span {
            let number = FIRST + (begin as u16 + step) % span;
            let path = folder.join(number.to_string());
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(Error::file(&path))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(source)) => return Err(Error::File { path, source }),
            }
            if TcpListener::bind((address, number)).is_ok() {
                return Ok(Port {
                    number,
                    address,
                    _lock: lock,
                });
            }
        }
        Err(Error::NoPort)
    }

    /// The address with this port.
    pub fn address(&self) -> SocketAddr {
        (self.address, self.number).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_never_the_same() {
        let ports: Vec<_> = (0..20).map(|_| Port::take().expect("a port").number).collect();
        let held: Vec<_> = (0..20).map(|_| Port::take().expect("a port")).collect();
        let mut numbers: Vec<_> = held.iter().map(|port| port.number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
        assert!(ports.iter().all(|port| (FIRST..=LAST).contains(port)));
    }
}
