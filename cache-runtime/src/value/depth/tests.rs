use serde::Deserialize;
use serde::de::value::{Error as ValueError, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

use super::*;

fn check<'de, T: DeserializeOwned>(
    input: impl IntoDeserializer<'de, ValueError>,
    allowance: usize,
) -> Result<T, String> {
    let allowance = Allowance {
        elements: Cell::new(allowance),
    };
    let value = bounded(&allowance).deserialize(input.into_deserializer());
    value.map_err(|error: ValueError| error.to_string())
}

#[test]
fn elements_are_paid_for_at_once_where_their_number_is_known() {
    assert_eq!(check(vec![1u8, 2, 3], 3), Ok(vec![1u8, 2, 3]));
    assert_eq!(
        check::<Vec<u8>>(vec![1u8, 2, 3], 2),
        Err("more elements than the input has bytes".into())
    );
}

#[test]
fn elements_are_paid_for_one_by_one_where_their_number_is_unknown() {
    let endless = || SeqDeserializer::new(std::iter::repeat(()).take_while(|()| true));
    let result = check::<Vec<()>>(Input(endless()), 100);
    assert_eq!(result, Err("more elements than the input has bytes".into()));

    let pairs = MapDeserializer::new((0u8..).map(|key| (key, key)).take_while(|_| true));
    let result = check::<std::collections::BTreeMap<u8, u8>>(Input(pairs), 100);
    assert_eq!(result, Err("more elements than the input has bytes".into()));
}

#[test]
fn fields_cost_nothing() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Units((), (), ());

    assert_eq!(check(vec![(), (), ()], 0), Ok([(), (), ()]));
    assert_eq!(check(vec![(), (), ()], 0), Ok(Units((), (), ())));
}

struct Input<D>(D);

impl<'de, D: Deserializer<'de, Error = ValueError>> IntoDeserializer<'de, ValueError> for Input<D> {
    type Deserializer = D;

    fn into_deserializer(self) -> D {
        self.0
    }
}

#[cfg(feature = "bincode")]
mod with_bincode {
    use serde::Serialize;

    use super::*;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    enum Nest {
        Leaf,
        Newtype(Box<Self>),
        Tuple(Box<Self>, ()),
        Struct { inner: Box<Self> },
        Sequence(Vec<Self>),
        Map(std::collections::BTreeMap<u8, Self>),
        Option(Option<Box<Self>>),
        Pair(Box<(Self, Self)>),
        Wide(Box<Wide>),
    }

    /// A level that takes much stack.
    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct Wide {
        words: [[u64; 32]; 4],
        inner: Nest,
    }

    fn encode(value: &Nest) -> Vec<u8> {
        bincode::serde::encode_to_vec(value, bincode::config::standard()).unwrap()
    }

    fn decode(bytes: &[u8]) -> Result<Nest, String> {
        let allowance = Allowance::for_input(bytes.len());
        let config = bincode::config::standard();
        bincode::serde::seed_decode_from_slice(bounded(&allowance), bytes, config)
            .map(|(value, _)| value)
            .map_err(|error| error.to_string())
    }

    fn nested(levels: usize, around: impl Fn(Nest) -> Nest) -> Nest {
        (0..levels).fold(Nest::Leaf, |inner, _| around(inner))
    }

    #[track_caller]
    fn check(around: impl Fn(Nest) -> Nest) {
        let fair = nested(30, &around);
        assert_eq!(decode(&encode(&fair)), Ok(fair));

        let deep = encode(&nested(200, &around));
        assert!(decode(&deep).unwrap_err().contains("nested too deep"));
    }

    #[test]
    fn every_way_to_nest_ends() {
        check(|inner| Nest::Newtype(Box::new(inner)));
        check(|inner| Nest::Tuple(Box::new(inner), ()));
        check(|inner| Nest::Struct {
            inner: Box::new(inner),
        });
        check(|inner| Nest::Sequence(vec![inner]));
        check(|inner| Nest::Map([(7, inner)].into()));
        check(|inner| Nest::Option(Some(Box::new(inner))));
        check(|inner| Nest::Pair(Box::new((Nest::Leaf, inner))));
    }

    #[test]
    fn wide_values_fit_the_stack_at_full_depth() {
        let words = [[7; 32]; 4];
        check(|inner| Nest::Wide(Box::new(Wide { words, inner })));
    }

    #[test]
    fn depth_is_that_of_one_branch_not_of_all() {
        let many = Nest::Sequence(
            (0..1000)
                .map(|_| Nest::Sequence(vec![Nest::Leaf]))
                .collect(),
        );
        assert_eq!(decode(&encode(&many)), Ok(many));
    }
}
