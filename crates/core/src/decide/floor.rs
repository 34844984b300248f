//! A `go` line is a minimum: the default SDK when it is new enough, else the newest patch of the minimum's family.

use super::wishes::Minimum;
use super::{Case, Chosen, Install, Kind, Seen, Target};
use crate::link::Link;
use crate::origin::Origin;
use crate::spec::Spec;
use crate::version::Version;

impl Case<'_> {
    /// Settles ranks 6 to 8. The highest minimum comes first.
    pub(super) fn with_floor(
        &self,
        minimums: Vec<Minimum>,
        default: (u8, Origin, Target),
        mut seen: Vec<Seen>,
        mut notes: Vec<String>,
    ) -> Chosen {
        let (rank, origin, target) = default;
        let mut counted = Vec::new();
        for minimum in minimums {
            match self.stays_below(&minimum, &target) {
                Some(why) => seen.insert(0, minimum.lost(why)),
                None => counted.push(minimum),
            }
        }
        let mut minimums = counted.into_iter();
        let Some(floor) = minimums.next() else {
            return Chosen { target, origin, kind: Kind::Default, rank, seen, notes };
        };
        let lower = format!("lower than `{}`", floor.text);
        seen.splice(0..0, minimums.map(|minimum| minimum.lost(&lower)));
        let Minimum { origin: floor_origin, text, version: floor } = floor;
        if let Some(target) = self.default_target_under(&target, &floor) {
            let met = match &target {
                Target::PathGo { .. } => "the go further down PATH has to see to it",
                Target::Linked(Link { version: None, .. }) => {
                    "the default does not say what it is, and is taken to be new enough"
                }
                Target::Sdk(_) | Target::Linked(_) | Target::Install(_) => "the default is new enough",
            };
            notes.push(format!("{floor_origin} asks for at least {floor}; {met}"));
            seen.insert(0, Seen { rank: 6, origin: floor_origin, text, lost: Some("met by the default".to_owned()) });
            return Chosen { target, origin, kind: Kind::Default, rank, seen, notes };
        }
        for default in seen.iter_mut().filter(|s| s.lost.is_none()) {
            default.lost = Some(match &target {
                Target::Install(Install { spec: Spec::Linked(_), .. }) => {
                    "nothing is linked under this name".to_owned()
                }
                _ => format!("older than {floor}"),
            });
        }
        let target = self.meet(&floor);
        seen.insert(0, Seen { rank: 6, origin: floor_origin.clone(), text, lost: None });
        Chosen { target, origin: floor_origin, kind: Kind::Floor, rank: 6, seen, notes }
    }

    /// The default's target, when it satisfies the floor or will once it is installed.
    fn default_target_under(&self, target: &Target, floor: &Version) -> Option<Target> {
        match target {
            Target::Sdk(version) => version.satisfies(floor).then(|| target.clone()),
            Target::Linked(link) => {
                link.version.as_ref().is_none_or(|version| version.satisfies(floor)).then(|| target.clone())
            }
            Target::Install(install) => {
                let new_enough = match &install.spec {
                    Spec::Exact(version) => version.satisfies(floor),
                    Spec::Family(major, minor) => floor.family().is_some_and(|f| (*major, *minor) >= f),
                    Spec::Latest => true,
                    Spec::OldStable | Spec::Range(_) | Spec::Linked(_) => false,
                };
                let under = Install { floor: Some(floor.clone()), ..install.clone() };
                new_enough.then_some(Target::Install(under))
            }
            // A minimum is a wish: a go of unknown age further down PATH does not meet it.
            Target::PathGo { or_install: Some(install) } => {
                Some(Target::Install(Install { floor: Some(floor.clone()), ..install.clone() }))
            }
            Target::PathGo { or_install: None } => Some(target.clone()),
        }
    }

    /// The newest patch of the floor's family: the newest installed, else the newest there is.
    fn meet(&self, floor: &Version) -> Target {
        // A number that no release will ever have is a family of its own, and of it there is no release.
        let family = floor.family().map_or(Spec::Exact(floor.clone()), |(major, minor)| Spec::Family(major, minor));
        // Nobody but its vendor has a patch of a vendor's build.
        let family = if floor.suffix().is_some() { Spec::Exact(floor.clone()) } else { family };
        let good = |version: &Version| version.satisfies(floor);
        let stable = self.installed.newest(|version| good(version) && family.admits(version));
        // A minimum that is itself a release candidate may be met by one.
        let prerelease = || self.installed.pick(&family, good).filter(|_| floor.is_prerelease());
        if let Some(version) = stable.or_else(prerelease) {
            return Target::Sdk(version.clone());
        }
        let instead = self.installed.pick(&Spec::Latest, good).or_else(|| self.installed.newest(good)).cloned();
        Target::Install(Install { spec: family, floor: Some(floor.clone()), by_repository: true, instead })
    }
}
