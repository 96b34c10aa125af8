//! The products behind the ports, a file (or folder) each. They do not know one another.

pub mod sqlite;
