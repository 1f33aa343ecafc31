"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_datasets() -> list[Component]:
    return [
        Component("digits", "eb_datasets.digits:Digits", "1,797 handwritten digits, 8x8, embedded"),
        Component("mnist", "eb_datasets.mnist:Mnist", "70,000 handwritten digits, 28x28"),
        Component("mnist-100", "eb_datasets.mnist_100:Mnist100", "MNIST/100: 100 training images of each digit"),
        Component("fashion-mnist", "eb_datasets.fashion_mnist:FashionMnist", "70,000 pictures of clothes, 28x28"),
        Component("cifar10", "eb_datasets.cifar10:Cifar10", "60,000 photographs of ten kinds of things, 32x32, colour"),
        Component("cifar100", "eb_datasets.cifar100:Cifar100", "60,000 photographs of 100 kinds of things, 32x32"),
        Component("svhn", "eb_datasets.svhn:Svhn", "99,289 digits of house numbers, 32x32, colour"),
        Component("npz", "eb_datasets.npz:Npz", "your own arrays in a .npz file"),
        Component("csv", "eb_datasets.csv_table:Csv", "your own table in a .csv file"),
    ]
