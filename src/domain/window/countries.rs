//! The zones of a phone's country, for a recipient whose own zone nobody told. Knows countries by
//! the number alone: where the phone is today, no number can tell.

use jiff::tz::TimeZone;
use rlibphonenumber::{PHONE_NUMBER_UTIL, Region};

use super::zones::ZONES;
use crate::domain::phone::Phone;
use crate::domain::schedule::zone;

/// One country, or several that a number leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Country(Vec<Region>);

/// The country of a number; `None` for services that belong to none (satellite, international
/// freephone).
///
/// A North American number is taken as one of the United States or Canada, all of both: people
/// keep their area code when they move. Only an area code of another country or territory under +1
/// (Jamaica, Guam) tells more. A number outside its numbering plan counts for every country that
/// shares the code.
pub(super) fn of(phone: &Phone) -> Option<Country> {
    let number = PHONE_NUMBER_UTIL.parse(phone.expose(), None).ok()?;
    let exact = PHONE_NUMBER_UTIL.get_region_for_number(&number);
    let code = number.country_code;
    let regions = match exact {
        Some(region) if code != NORTH_AMERICA || !MAINLAND.contains(&region) => vec![region],
        Some(_) | None if code == NORTH_AMERICA => MAINLAND.to_vec(),
        Some(_) | None => PHONE_NUMBER_UTIL
            .get_regions_for_country_calling_code(code)?
            .collect(),
    };
    let country = Country(regions);
    (!country.zone_names().is_empty()).then_some(country)
}

const NORTH_AMERICA: i32 = 1;
const MAINLAND: [Region; 2] = [Region::US, Region::CA];

impl Country {
    /// All zones in use there.
    pub(super) fn zones(&self) -> Vec<TimeZone> {
        self.zone_names()
            .into_iter()
            .filter_map(zone::find)
            .collect()
    }

    /// For people: `US`, or `US and CA`.
    pub(super) fn name(&self) -> String {
        let codes: Vec<String> = self
            .0
            .iter()
            .map(|region| region.as_region_str().to_string())
            .collect();
        codes.join(" and ")
    }

    fn zone_names(&self) -> Vec<&'static str> {
        self.0
            .iter()
            .filter_map(|region| {
                let code = region.as_region_str();
                let at = ZONES.binary_search_by_key(&code.as_str(), |(code, _)| *code);
                at.ok().and_then(|at| ZONES.get(at))
            })
            .flat_map(|(_, zones)| zones.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_of_the_table_is_known_and_the_table_is_sorted() {
        assert!(ZONES.is_sorted_by(|(a, _), (b, _)| a < b));
        for (country, zones) in ZONES {
            assert!(!zones.is_empty(), "{country}");
            for name in *zones {
                assert!(zone::parse(name).is_ok(), "{country}: {name}");
            }
        }
    }

    #[test]
    fn every_country_with_a_numbering_plan_is_in_the_table() {
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            let zones = Country(vec![region]).zones();
            assert!(!zones.is_empty(), "{region:?}");
        }
    }

    #[test]
    fn a_number_tells_its_country() {
        let name = |number: &str| {
            let country = of(&Phone::from_e164(number).unwrap());
            country.map(|country| country.name())
        };
        assert_eq!(name("+4930123456").as_deref(), Some("DE"));
        assert_eq!(name("+442079460958").as_deref(), Some("GB"));
        assert_eq!(name("+12025550143").as_deref(), Some("US and CA"));
        assert_eq!(name("+18765550143").as_deref(), Some("JM"));
        assert_eq!(name("+77272581234").as_deref(), Some("KZ"));
        assert_eq!(name("+870773112345"), None);
    }
}
