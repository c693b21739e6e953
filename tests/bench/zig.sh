#!/bin/sh
# Stands for cc, c++, ar or ranlib, by its own name. Upstream's variants say -march= as GCC does; zig wants -mcpu=.
# zig puts a C++ library of its own into each shared library, and llama.cpp's hand texts and locales to each other: they
# share GCC's instead. As -isystem its headers would come after those of C, which they include by #include_next.
# The shell alone: the sandbox of the compiler has no sed.
set -eu
tool=${0##*/}
case $tool in ar | ranlib) exec "@ZIG@" "$tool" "$@" ;; esac
for word do
    shift
    case $word in
        -march=armv8-a*) word=-mcpu=generic${word#-march=armv8-a} ;;
        -march=armv*)
            level=${word#-march=arm} features=''
            case $level in *+*) features=+${level#*+} level=${level%%+*} ;; esac
            case $features in *+fp16*) features=${features%%+fp16*}+fullfp16${features#*+fp16} ;; esac
            level=${level%-a}
            word=-mcpu=generic+${level%%.*}_${level#*.}a$features
            ;;
    esac
    set -- "$@" "$word"
done
set -- -target aarch64-linux-gnu.2.36 -g0 "$@"
if [ "$tool" = c++ ]; then
    gcc=/usr/aarch64-linux-gnu
    set -- "$@" -nostdinc++ "-I$gcc/include/c++/12" "-I$gcc/include/c++/12/aarch64-linux-gnu"
    case " $* " in *' -c '*) ;; *) set -- "$@" -nostdlib++ "$gcc/lib/libstdc++.so.6" "$gcc/lib/libgcc_s.so.1" ;; esac
fi
exec "@ZIG@" "$tool" "$@"
