"""What the tabs Generate, Attention, Clusters and Blocks do, apart from their components."""
