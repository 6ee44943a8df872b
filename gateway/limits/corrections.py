"""What is booked by hand beside the cost of requests, for a person's budget of the present period."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Final

from django.contrib.auth import get_user_model
from django.db import transaction

from gateway.limits.meters import PERSON, SPEND, Subject
from gateway.limits.spent import BILLION, spent
from gateway.limits.windows import Period
from gateway.models import PersonBudget

USUAL_BUDGET: Final = Decimal(100)


def set_spent(username: str, percent: int) -> bool:
    """Book what makes a person's spend `percent` of the budget now. False: nobody has that name.

    A person without a spend budget gets USUAL_BUDGET a month. Every process counts anew with its next look at
    the configuration.
    """
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        return False
    with transaction.atomic():
        budget = PersonBudget.objects.select_for_update().filter(user=user).first() or PersonBudget(user=user)
        if budget.spend_budget is None:
            budget.spend_budget = USUAL_BUDGET
        period = Period.at(budget.budget_period, time.time())
        booked = budget.correction if budget.corrected_period == period.start else 0
        wanted = int(budget.spend_budget * BILLION) * percent // 100
        budget.correction = wanted - (spent(Subject(PERSON, user.pk), period)[SPEND] - booked)
        budget.corrected_period = period.start
        budget.revision += 1
        budget.save()
    return True
