"""The contract with the clouds' APIs: the same promises over recordings and live."""
