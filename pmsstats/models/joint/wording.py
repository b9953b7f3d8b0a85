"""What a joint model found, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pmsstats.results import format_number

if TYPE_CHECKING:
    from pmsstats.models.joint.certificate import Certificate
    from pmsstats.models.joint.result import JointResult
    from pmsstats.models.kernels.joint_theta import JointShape

__all__ = ["describe_certificate", "describe_joint"]

_QUANTITIES = {
    "value": "a true {marker} higher by one SD between subjects ({sd})",
    "slope": "a true {marker} that rises faster by one SD ({sd} per unit of {time})",
    "area": "an area under the true {marker} larger by one SD ({sd})",
    "lagged": "a true {marker} higher by one SD ({sd}) {lag} before",
    "random_effects": "a random {effect} of {marker} higher by one SD ({sd})",
}


def describe_joint(fit: JointResult) -> str:
    """Say what a higher marker goes with, in whom, and whether the fit converged.

    Parameters
    ----------
    fit : JointResult
        A fit.

    Returns
    -------
    str
        One sentence.
    """
    frame = fit.association_table()
    whom = (
        f"{fit.n_subjects} subjects with {sum(fit.n_obs)} measurements and "
        f"{_events(fit)}; {_how(fit)}."
    )
    if frame.empty:
        return f"Markers and events without association in {whom}"
    n = len(fit.design.links)
    rows = [j for j, link in enumerate(fit.design.links) if not link.interaction]
    said = [_one(fit, frame.iloc[j], j) for j in rows]
    alone = "" if len(rows) == 1 else ", the others being equal"
    first = "; ".join(said) + alone
    if any(link.interaction for link in fit.design.links):
        first += " where the interacting covariates are 0"
    cause = f" of {fit.design.causes[0]}" if len(frame) > n else ""
    noted = "".join(f" Note: {note}." for note in fit.notes)
    return f"{first[0].upper()}{first[1:]}{cause}, in {whom}{noted}"


def _one(fit: JointResult, row: pd.Series, place: int) -> str:
    """Say one association."""
    link = fit.design.links[place]
    marker = fit.design.markers[link.marker]
    what = _QUANTITIES[link.term].format(
        marker=marker.name,
        sd=format_number(row["sd"], 3),
        time=fit.spec.time,
        lag=f"{fit.spec.lag:g}" if fit.spec.lag else "",
        effect=marker.mixed.random_names[link.effect],
    )
    columns = ("hazard_ratio_per_sd", "hazard_ratio_per_sd_low", "hazard_ratio_per_sd_high")
    ratio, low, high = (format_number(row[column], 3) for column in columns)
    level = f"{100 * fit.spec.conf_level:g} % CI"
    return f"{what} goes with {ratio} times the hazard ({level} {low} to {high})"


def _events(fit: JointResult) -> str:
    """Count events."""
    if len(fit.n_events) == 1:
        return f"{fit.n_events[0]} events"
    pairs = zip(fit.n_events, fit.design.causes, strict=True)
    return " and ".join(f"{n} events of {cause}" for n, cause in pairs)


def _how(fit: JointResult) -> str:
    """Say whether it converged."""
    words = "joint model, ML " + ("converged" if fit.fit_log.converged else "did NOT converge")
    return words + (" (singular)" if fit.fit_log.singular else "")


def describe_certificate(certificate: Certificate, labels: pd.DataFrame, shape: JointShape) -> str:
    """Say what speaks for a fit, or against it.

    Parameters
    ----------
    certificate : Certificate
        The evidence.
    labels : pandas.DataFrame
        ``part marker cause term`` of fixed effects, associations and hazards.
    shape : JointShape
        Where parameters stand.

    Returns
    -------
    str
        Clauses joined by semicolons.
    """
    words = [
        *certificate.problems,
        f"a further Newton step would be {certificate.decrement:.1e} standard errors long",
        f"information of rank {certificate.rank} of {certificate.n_theta}",
        f"condition {certificate.condition:.1e}",
    ]
    for change, what in (
        (certificate.nodes, "more nodes over random effects"),
        (certificate.time, "more points over time"),
    ):
        if change is not None:
            words.append(
                f"{what} change the log-likelihood by {change.log_likelihood:.1e} and estimates by "
                f"{change.estimates:.1e} standard errors at most"
            )
    vague = [_name(place, labels, shape) for place in certificate.vague]
    if vague:
        words.append(f"undetermined: {', '.join(dict.fromkeys(vague))}")
    return "; ".join(words)


def _name(place: int, labels: pd.DataFrame, shape: JointShape) -> str:
    """Name the part of the model to which a parameter of the fit belongs."""
    if shape.log_sigma.start <= place < shape.root.stop:
        return "a variance of random effects or residuals"
    if place < shape.log_sigma.start:
        return "fixed effects"
    if place >= shape.alpha.start:
        links = labels.loc[labels["part"] == "association", "term"].tolist()
        return str(links[place - shape.alpha.start])
    for cause, psi in enumerate(shape.psi):
        if psi.start <= place < psi.stop:
            name = labels["cause"].replace("", pd.NA).dropna().unique()[cause]
            inside = labels[(labels["cause"] == name) & (labels["part"] == "baseline")]
            covariates = labels[(labels["cause"] == name) & (labels["part"] == "hazard")]
            terms = [*inside["term"], *covariates["term"]]
            return str(terms[place - psi.start])
    return "unknown"
