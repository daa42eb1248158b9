//! How large the future of a cached function is beside that of its body.

use std::hint::black_box;
use std::mem::size_of_val;

use super::Figures;
use crate::candidate::Outcome;
use crate::candidate::ours;
use crate::work::{self, LANGUAGE};

pub fn run() -> Outcome<Figures> {
    let body = async move |id: u64, language: &str| work::load(id, language).await;
    let body = size_of_val(&body(black_box(1), LANGUAGE));
    let near = size_of_val(&ours::cloned(1, LANGUAGE));
    let distant = size_of_val(&ours::distant(1, LANGUAGE));
    Ok(vec![
        ("body", body as f64),
        ("near", near as f64 - body as f64),
        ("redis", distant as f64 - body as f64),
    ])
}
