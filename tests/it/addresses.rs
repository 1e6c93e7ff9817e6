//! Host names, addresses, and runs that never bind.
