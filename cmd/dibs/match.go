package main

type matchCmd struct{}

func (*matchCmd) Run() error { return nil }
