//! Tests of plans: each kind of change by itself, and random ones against a model.

mod changer;
mod kinds;
mod model;
mod random;
