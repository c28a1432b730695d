//! Keys, guards and child processes for the tests of this folder.
