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
            .filter_map(|name| zone::parse(name).ok())
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
