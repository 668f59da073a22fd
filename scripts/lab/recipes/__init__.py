"""What the benches of recipes share: pictures for the guide, and other ways to train beside a recipe's own."""
