"""Kaplan-Meier estimates of the share with an event, in many replicates at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["EventOrder", "EventShare", "event_order", "event_share"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EventOrder:
    """Subjects of each replicate in the order in which their follow-up ends.

    Parameters
    ----------
    place : ndarray of int, shape (n_replicates, n_subjects)
        Which subject comes next.
    event : ndarray of bool, shape (n_replicates, n_subjects)
        Whether that subject's follow-up ends with the event.
    stays : ndarray of bool, shape (n_replicates, n_subjects)
        Whether that subject is followed to the end without an event.
    """

    place: np.ndarray
    event: np.ndarray
    stays: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class EventShare:
    """Share of a group with an event by the end, one per replicate.

    Parameters
    ----------
    share : ndarray, shape (n_replicates,)
        From 0 to 1; not a number where the group is not followed to the end.
    variance : ndarray, shape (n_replicates,)
        Of the share.
    """

    share: np.ndarray
    variance: np.ndarray


def event_order(duration: np.ndarray, event: np.ndarray) -> EventOrder:
    """Sort subjects by the end of their follow-up.

    Parameters
    ----------
    duration : ndarray, shape (n_replicates, n_subjects)
        Time to event or exit; infinite for those followed to the end without an event.
    event : ndarray of bool, shape (n_replicates, n_subjects)
        Whether it ends with the event. At the same time events come before exits.

    Returns
    -------
    EventOrder
        For :func:`event_share` of any group of them.
    """
    place = np.lexsort((~event, duration), axis=-1)
    return EventOrder(
        place=place,
        event=np.take_along_axis(event, place, axis=1),
        stays=np.isinf(np.take_along_axis(duration, place, axis=1)),
    )


def event_share(order: EventOrder, member: np.ndarray) -> EventShare:
    """Estimate the share of a group with an event by the end, were nobody to leave.

    Parameters
    ----------
    order : EventOrder
        Of all subjects.
    member : ndarray of bool, shape (n_replicates, n_subjects)
        Who is in the group.

    Returns
    -------
    EventShare
        With Greenwood's variance.

    Notes
    -----
    One less the product of ``1 - 1 / Y`` over events, with Y at risk [1]_; its variance is the
    squared product times the sum of ``1 / (Y (Y - 1))`` [2]_. Events of the same time are taken
    one after the other, which gives the same product and the same sum. Where nobody leaves these
    are the plain share and its binomial variance.

    References
    ----------
    .. [1] Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. J Am Stat
       Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452
    .. [2] Greenwood M. The natural duration of cancer. Reports on Public Health and Medical
       Subjects 33. London: HMSO; 1926.
    """
    inside = np.take_along_axis(member, order.place, axis=1)
    n = inside.sum(axis=1)
    at_risk = n[:, None] - np.cumsum(inside, axis=1) + 1.0  # of members: with their own
    event = inside & order.event
    survival = np.where(event, 1 - 1 / np.where(event, at_risk, 1.0), 1.0).prod(axis=1)
    both = np.where(event & (at_risk > 1), at_risk * (at_risk - 1), np.inf)
    variance = survival**2 * (1 / both).sum(axis=1)
    is_followed = (inside & order.stays).any(axis=1) | (survival == 0)
    return EventShare(
        share=np.where(is_followed, 1 - survival, np.nan),
        variance=np.where(is_followed, variance, np.nan),
    )
