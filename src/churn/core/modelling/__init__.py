"""The model: encoding, search, fit, the trees and how they score; the baseline beside it."""
