//! When requests are due: the integral of a stated rate curve, never "as fast as answers come".

use std::time::Duration;

use flashsale_engine::sale::definition::Arrival;

/// The curve of one kind of request.
#[derive(Debug, Clone)]
pub struct Curve(Vec<(f64, f64)>);

impl Curve {
    /// From the arrivals' points and the rate that is meant.
    pub fn new(arrivals: &[Arrival], rate: impl Fn(&Arrival) -> u32) -> Self {
        Self(arrivals.iter().map(|point| (point.at.as_secs_f64(), f64::from(rate(point)))).collect())
    }

    /// How many requests are due by then, since the opening.
    pub fn due(&self, at: Duration) -> u64 {
        let at = at.as_secs_f64();
        let total: f64 = self.0.windows(2).map(|pair| area(pair[0], pair[1], at)).sum();
        // Whole requests; the curve is not negative and ends.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = (total + 1e-9) as u64;
        whole
    }

    /// When the last request is due.
    pub fn end(&self) -> Duration {
        self.0.last().map_or(Duration::ZERO, |(at, _)| Duration::from_secs_f64(*at))
    }
}

/// The area under the line from `left` to `right`, up to `at`.
fn area(left: (f64, f64), right: (f64, f64), at: f64) -> f64 {
    let end = at.min(right.0);
    let width = end - left.0;
    if width <= 0.0 {
        return 0.0;
    }
    let slope = (right.1 - left.1) / (right.0 - left.0);
    width * (left.1 + slope * width / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_the_area_under_the_curve() {
        let point = |at, reserves| Arrival { at: Duration::from_secs(at), looks: 0, reserves };
        let curve = Curve::new(&[point(0, 0), point(2, 100), point(4, 100), point(5, 0)], |point| point.reserves);
        let due = |millis| curve.due(Duration::from_millis(millis));
        assert_eq!((due(0), due(1_000), due(2_000), due(3_000)), (0, 25, 100, 200));
        assert_eq!((due(4_000), due(4_500), due(5_000), due(60_000)), (300, 337, 350, 350));
        assert_eq!(curve.end(), Duration::from_secs(5));
    }
}
