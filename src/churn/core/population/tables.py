"""The numbers behind the sample population: conditional shares and coefficients.

They were fitted to the public IBM telco churn table (7,043 customers, Apache-2.0) so that each
one-way share, the churn rate and the reachable ROC-AUC come out close to it. Shares are given in
the order of the texts in `VALUES`.
"""

import numpy as np

VALUES: dict[str, tuple[str, ...]] = {
    "gender": ("Female", "Male"),
    "Partner": ("No", "Yes"),
    "Dependents": ("No", "Yes"),
    "PhoneService": ("No", "Yes"),
    "MultipleLines": ("No", "Yes", "No phone service"),
    "InternetService": ("DSL", "Fiber optic", "No"),
    "OnlineSecurity": ("No", "Yes", "No internet service"),
    "OnlineBackup": ("No", "Yes", "No internet service"),
    "DeviceProtection": ("No", "Yes", "No internet service"),
    "TechSupport": ("No", "Yes", "No internet service"),
    "StreamingTV": ("No", "Yes", "No internet service"),
    "StreamingMovies": ("No", "Yes", "No internet service"),
    "Contract": ("Month-to-month", "One year", "Two year"),
    "PaperlessBilling": ("No", "Yes"),
    "PaymentMethod": ("Bank transfer (automatic)", "Credit card (automatic)", "Electronic check", "Mailed check", "Digital wallet"),
    "Churn": ("No", "Yes"),
}
"""Texts of the coded columns. `Digital wallet` appears only where the knob for a new category is turned."""

DSL, FIBER, NO_INTERNET = range(3)
MONTHLY, ONE_YEAR, TWO_YEARS = range(3)
NOT_AVAILABLE = 2
"""Code of `No phone service` and `No internet service`."""
ELECTRONIC_CHECK, DIGITAL_WALLET = 2, 4

TENURE_FROM = np.array([0, 1, 2, 3, 4, 7, 13, 25, 37, 49, 61, 72])
TENURE_TO = np.array([0, 1, 2, 3, 6, 12, 24, 36, 48, 60, 71, 72])
TENURE_SHARES = np.array([0.0016, 0.0870, 0.0338, 0.0284, 0.0595, 0.1001, 0.1454, 0.1181, 0.1082, 0.1181, 0.1484, 0.0514])
"""Months as a customer, inclusive bins; uniform inside one."""

CONTRACT_TENURE = np.array([1, 6, 12, 24, 36, 48, 60, 71])
"""Last month of every tenure group but the last; the same for the two below."""
CONTRACT_SHARES = np.array(
    [
        [0.968, 0.013, 0.019],
        [0.944, 0.036, 0.020],
        [0.824, 0.121, 0.055],
        [0.720, 0.192, 0.088],
        [0.584, 0.301, 0.115],
        [0.415, 0.352, 0.233],
        [0.281, 0.386, 0.333],
        [0.101, 0.283, 0.616],
        [0.0055, 0.047, 0.9475],
    ]
)
"""Contract by tenure group."""

INTERNET_TENURE = np.array([12, 36])
INTERNET_SHARES = np.array(
    [
        [[0.346, 0.459, 0.195], [0.302, 0.600, 0.098], [0.249, 0.726, 0.024]],
        [[0.339, 0.056, 0.605], [0.443, 0.190, 0.367], [0.366, 0.496, 0.139]],
        [[0.265, 0.000, 0.735], [0.269, 0.059, 0.672], [0.389, 0.290, 0.321]],
    ]
)
"""Internet service by contract and tenure group."""

FEMALE = 0.5
PARTNER_TENURE = np.array([1, 12, 36, 60])
PARTNER = np.array([0.1715, 0.2919, 0.4520, 0.5816, 0.7626])
DEPENDENTS = np.array([0.0991, 0.5141])
"""By partner, multiplied by `DEPENDENTS_SENIOR`."""
DEPENDENTS_SENIOR = np.array([1.14, 0.27])
SENIOR = np.array([0.107, 0.268, 0.034])
"""By internet service, as are the next two."""
PHONE = np.array([0.7183, 1.0, 1.0])
PAPERLESS = np.array([0.549, 0.774, 0.292])

LINES: dict[str, float] = {"base": -1.653, "tenure_years": 0.422, "fiber": 1.111, "no_internet": -0.855}
"""Logit of multiple lines among customers with a phone."""

ADD_ONS: dict[str, tuple[float, float, float, float, float]] = {
    "OnlineSecurity": (-1.235, 0.276, 0.621, 1.129, -0.939),
    "OnlineBackup": (-1.490, 0.425, 0.135, 0.223, -0.038),
    "DeviceProtection": (-1.568, 0.293, 0.687, 1.252, 0.211),
    "TechSupport": (-1.200, 0.159, 0.956, 1.986, -0.777),
    "StreamingTV": (-1.470, 0.232, 0.513, 0.894, 0.936),
    "StreamingMovies": (-1.450, 0.243, 0.512, 0.878, 0.892),
}
"""Logit among customers with internet: base, per year of tenure, one year, two years, fiber."""
STREAMING = ("StreamingTV", "StreamingMovies")
COMMON_LOADING, STREAMING_LOADING = 0.5, 1.1
"""Loadings of the N(0, 1) factors that the add-ons share."""
LOGISTIC_TO_NORMAL = 1.702
"""A logistic curve is close to a normal one of this scale; keeps the shares when a factor is added."""

PAYMENT_SHARES = np.array(
    [
        [[0.161, 0.151, 0.388, 0.300], [0.154, 0.138, 0.614, 0.094], [0.124, 0.124, 0.132, 0.620]],
        [[0.254, 0.302, 0.204, 0.240], [0.291, 0.278, 0.364, 0.067], [0.245, 0.209, 0.096, 0.451]],
        [[0.357, 0.377, 0.092, 0.174], [0.378, 0.359, 0.214, 0.049], [0.279, 0.298, 0.028, 0.395]],
    ]
)
"""Payment method by contract and internet service."""

PRICES: dict[str, float] = {
    "PhoneService": 20.0,
    "MultipleLines": 5.0,
    "OnlineSecurity": 5.0,
    "OnlineBackup": 5.0,
    "DeviceProtection": 5.0,
    "TechSupport": 5.0,
    "StreamingTV": 10.0,
    "StreamingMovies": 10.0,
}
"""USD a month for each service taken."""
INTERNET_PRICE = np.array([25.0, 50.0, 0.0])
PRICE_NOISE, LOWEST_PRICE, PRICE_STEP = 1.02, 18.25, 0.05
TOTAL_NOISE = 0.2
"""Relative standard deviation of the total charges, divided by the square root of the tenure."""

CHURN: dict[str, float] = {
    "base": 0.8431,
    "SeniorCitizen": 0.2268,
    "Dependents": -0.1172,
    "log_tenure": -0.7498,
    "tenure_years": 0.0265,
    "one_year": -0.7097,
    "two_years": -1.7161,
    "fiber": 0.9457,
    "no_internet": -0.8242,
    "PhoneService": -0.5414,
    "MultipleLines": 0.3694,
    "OnlineSecurity": -0.3154,
    "OnlineBackup": -0.1237,
    "DeviceProtection": 0.0253,
    "TechSupport": -0.2820,
    "StreamingTV": 0.3066,
    "StreamingMovies": 0.3179,
    "PaperlessBilling": 0.3547,
    "electronic_check": 0.3293,
}
"""Log-odds of churn; `log_tenure` is log(1 + months)."""
NEW_CUSTOMER = 6
"""Months of tenure up to which the interaction for new customers holds."""
